"""What a question is made of, and what each part of it takes."""
