"""Small tools that every package may use; they import none of them."""
