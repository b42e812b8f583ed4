"""Networks in torch that simulate few bits: layers that round their weights and inputs to levels."""
