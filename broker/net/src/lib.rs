//! Byte streams: TCP, TLS, WebSocket, unix sockets and the PROXY protocol
