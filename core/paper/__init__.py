"""Documents for people in Japanese and English, as a web page or as PDF."""
