"""The daemon at the door. Never imports torch, gradio or sqlalchemy."""
