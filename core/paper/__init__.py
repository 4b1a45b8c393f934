"""Documents for people, in Japanese and English: one content, as a page for browsers and on paper."""
