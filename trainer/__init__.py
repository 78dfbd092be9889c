"""The workstation: trains, measures, exports and bundles the encoder. Never imports paho or gradio."""
