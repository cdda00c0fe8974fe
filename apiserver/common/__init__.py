"""Small tools that every room may use. They know no room."""
