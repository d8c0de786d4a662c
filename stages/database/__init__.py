"""The new store's database: its schema, how it is opened, what it has, what goes in."""
