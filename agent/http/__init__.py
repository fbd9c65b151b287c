"""A small HTTP/1.1 server and client on h11 and trio.

`server.serve_http` runs a `response.Handler` on listeners (`listeners`, `unix_listener`); file bodies leave by
sendfile. `client.HttpClient` speaks to the same kind of server, `client_connection.ClientConnection` to any. Nothing
here knows of registries or images.
"""
