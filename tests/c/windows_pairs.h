/* For the C tests on Windows: pairs of connected pipes and sockets. */
#ifndef WINDOWS_PAIRS_H
#define WINDOWS_PAIRS_H
#include "check.h"

/* Both ends of a named pipe, for overlapped use. */
static inline void duplex_pipe(int ends[2], DWORD mode)
{
    static int made;
    char name[64];
    HANDLE server, client;
    sprintf(name, "\\\\.\\pipe\\caio-test-%lu-%d", GetCurrentProcessId(), made++);
    server = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, mode, 1, 4096, 4096, 0, NULL);
    client = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    CHECK(server != INVALID_HANDLE_VALUE && client != INVALID_HANDLE_VALUE);
    ends[0] = fd_of(server);
    ends[1] = fd_of(client);
}

static inline void byte_pipe(int ends[2])
{
    duplex_pipe(ends, PIPE_TYPE_BYTE);
}

static inline void anonymous_pipe(int ends[2])
{
    EXPECT(pipe2(ends, 0), 0);
}

/* ends[0] receives what ends[1] sends. */
static inline void sockets(int ends[2], int type)
{
    SOCKET one = socket(AF_INET, type, 0), two = socket(AF_INET, type, 0), accepted;
    struct sockaddr_in address;
    int length = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(one, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(getsockname(one, (struct sockaddr *)&address, &length) == 0);
    if (type == SOCK_STREAM)
        CHECK(listen(one, 1) == 0);
    CHECK(connect(two, (struct sockaddr *)&address, sizeof address) == 0);
    if (type == SOCK_STREAM) {
        accepted = accept(one, NULL, NULL);
        closesocket(one);
        one = accepted;
    }
    ends[0] = (int)one;
    ends[1] = (int)two;
}

static inline void tcp(int ends[2])
{
    sockets(ends, SOCK_STREAM);
}

#endif
