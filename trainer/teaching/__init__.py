"""Public encoders as teachers, and what they say of crops."""
