"""What a question asks for besides its words: other wordings to search with, and filters."""
