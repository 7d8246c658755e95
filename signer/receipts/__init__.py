"""Receipts: the verdict on a file as a signed PDF. What it says is api/receipt.py's; here it is set, tagged and signed."""
