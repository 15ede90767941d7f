"""Other processes and machines: notifications over Redis, and work handed out over Redis or RabbitMQ.

Nothing here is a record. What a message announces stands in the database, and whoever waits for it looks there by
itself after a while: a message that is lost costs that while, one that comes twice a look at the database.
"""
