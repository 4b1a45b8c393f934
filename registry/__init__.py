"""Who may play which sound for which number (利用許諾), and which numbers are stopped (番号停止)."""
