"""Books: text with chapters -> one audio file that players show chapters of."""
