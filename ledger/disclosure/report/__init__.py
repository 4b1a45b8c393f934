"""A pack's records to be read by people, in Japanese and English: one content, as a page for browsers and on paper."""
