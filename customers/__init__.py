"""The customers' standard application form (標準申込書): what it needs, on paper, and its sealed record."""
