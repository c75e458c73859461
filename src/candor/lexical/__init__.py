"""What can be read off a text without a model: style, and whether a reply goes along with the user's stated view."""
