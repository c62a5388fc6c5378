"""The text-to-semantic transformer: phones to semantic codes."""
