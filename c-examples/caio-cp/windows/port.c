/* Windows: waiting for handles, and UTF-8. */
#include "../caio-cp.h"
#include <signal.h>
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <shellapi.h>

enum { COMPLETION, SIGNAL, TICK };

static HANDLE handles[3];
static DWORD handle_count = 2;

/* The C runtime has converted the arguments to the system's code page, in which names are lost. */
static char *utf8(const wchar_t *text)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *path = checked_alloc(malloc((size_t)size));
    WideCharToMultiByte(CP_UTF8, 0, text, -1, path, size, NULL, NULL);
    for (char *at = path; *at; at++)
        if (*at == '\\')
            *at = '/';
    return path;
}

void port_begin(int *argc, char ***argv)
{
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), argc);
    HANDLE console = GetStdHandle(STD_ERROR_HANDLE);
    DWORD mode;
    *argv = checked_alloc(calloc((size_t)*argc + 1, sizeof **argv));
    for (int i = 0; i < *argc; i++)
        (*argv)[i] = utf8(wide[i]);
    LocalFree(wide);
    SetConsoleOutputCP(CP_UTF8);
    if (GetConsoleMode(console, &mode)) /* for the progress bar */
        SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

/* Runs on a thread of its own. After it returns from the end of a session, the system ends the process. */
static BOOL WINAPI stop(DWORD event)
{
    SetEvent(handles[SIGNAL]);
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        Sleep(INFINITE);
    return TRUE;
}

void watch_begin(const caio_ctx *ctx, int tick_ms)
{
    LARGE_INTEGER first = {.QuadPart = -tick_ms * 10000LL};
    int error = caio_ctx_event_handle(ctx, &handles[COMPLETION]);
    if (error < 0)
        die(-error, "%s", "event");
    handles[SIGNAL] = checked_alloc(CreateEventW(NULL, FALSE, FALSE, NULL));
    SetConsoleCtrlHandler(stop, TRUE);
    if (tick_ms > 0) {
        handles[TICK] = checked_alloc(CreateWaitableTimerW(NULL, FALSE, NULL));
        SetWaitableTimer(handles[TICK], &first, tick_ms, NULL, NULL, FALSE);
        handle_count = 3;
    }
}

bool watch_wait(int timeout_ms, void (*on_signal)(int), void (*on_tick)(void))
{
    DWORD ready = WaitForMultipleObjects(handle_count, handles, FALSE, timeout_ms < 0 ? INFINITE : (DWORD)timeout_ms);
    if (ready == WAIT_OBJECT_0 + SIGNAL)
        on_signal(SIGINT);
    else if (ready == WAIT_OBJECT_0 + TICK)
        on_tick();
    return ready != WAIT_TIMEOUT;
}

unsigned free_descriptors(void)
{
    return 4096; /* handles have no limit that matters */
}

static HANDLE handle_of(int fd)
{
    return (HANDLE)(intptr_t)fd;
}

void close_folder_now(int fd)
{
    CloseHandle(handle_of(fd));
}

/* The library resolves the folder's handle, so it removes the file too, through a context that nothing else uses. */
void remove_now(int folder, const char *name)
{
    caio_op op = path_op(CAIO_OP_UNLINKAT, folder, name);
    caio_event event;
    caio_ctx *ctx;
    if (caio_ctx_new(NULL, &ctx) < 0)
        return;
    if (caio_ctx_submit(ctx, &op, 1) == 1)
        caio_ctx_wait(ctx, &event, 1, 1, -1);
    caio_ctx_free(ctx);
}

char *path_of_open(int fd)
{
    wchar_t *path = checked_alloc(calloc(PATH_MAX, sizeof *path));
    char *real;
    if (GetFinalPathNameByHandleW(handle_of(fd), path, PATH_MAX, 0) == 0)
        die(EIO, "cannot read a link%s", "");
    /* Names of network drives stay as they are. */
    real = utf8(wcsncmp(path, L"\\\\?\\", 4) == 0 && path[5] == ':' ? path + 4 : path);
    free(path);
    return real;
}

bool set_direct(int fd, bool on)
{
    (void)fd;
    (void)on;
    return false;
}

uint64_t random_seed(void)
{
    LARGE_INTEGER ticks;
    QueryPerformanceCounter(&ticks);
    return (uint64_t)ticks.QuadPart << 20 ^ GetCurrentProcessId();
}

int terminal_width(void)
{
    CONSOLE_SCREEN_BUFFER_INFO screen;
    if (!GetConsoleScreenBufferInfo(GetStdHandle(STD_ERROR_HANDLE), &screen))
        return 80;
    return screen.srWindow.Right - screen.srWindow.Left + 1;
}

int64_t read_special_acl(const struct place *place, void *value, size_t size)
{
    (void)place;
    (void)value;
    (void)size;
    return -EOPNOTSUPP;
}

int set_special_acl(const struct place *place, const void *value, size_t size)
{
    (void)place;
    (void)value;
    (void)size;
    return 0;
}
