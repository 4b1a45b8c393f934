"""The registry: licences for sounds and numbers (利用許諾) and suspended numbers (番号停止)."""
