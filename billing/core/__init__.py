"""Pure rules of metering, rating, periods and invoices: frozen values in, frozen values out."""
