"""Atlas: the small world with known truth that ships inside the package.

`world` holds the facts, misconceptions, untaught questions and requests to refuse; it imports no torch.
"""
