"""Documents for people in Japanese and English: one content, shown as a page for browsers or on paper."""
