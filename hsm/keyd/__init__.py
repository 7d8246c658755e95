"""The key process: a keeper that holds the sockets, and the token process that alone holds module, PIN and sessions."""
