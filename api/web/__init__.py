"""The pages that a citizen opens: server-rendered HTML in Vietnamese, English and Korean. See README.md."""
