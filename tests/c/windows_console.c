/* Reads and writes on a console: a pseudo console, to which this program is attached again. */
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0a00
#endif
#define NTDDI_VERSION 0x0a000006
#include "windows_ops.h"

static void submit(caio_op op, uint64_t user_data)
{
    op.user_data = user_data;
    EXPECT(caio_ctx_submit(ctx, &op, 1), 1);
}

static int console(const char *name)
{
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE;
    HANDLE handle = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, share, NULL, OPEN_EXISTING, 0, NULL);
    CHECK(handle != INVALID_HANDLE_VALUE);
    return fd_of(handle);
}

static void type(int input, const char *keys)
{
    for (; *keys; keys++) {
        INPUT_RECORD press;
        DWORD done;
        memset(&press, 0, sizeof press);
        press.EventType = KEY_EVENT;
        press.Event.KeyEvent.bKeyDown = TRUE;
        press.Event.KeyEvent.wRepeatCount = 1;
        press.Event.KeyEvent.uChar.UnicodeChar = (unsigned char)*keys;
        press.Event.KeyEvent.wVirtualKeyCode = *keys == '\r' ? VK_RETURN : 0;
        CHECK(WriteConsoleInputW(handle_of(input), &press, 1, &done) && done == 1);
    }
}

static caio_op read_op(int fd, char *buf, uint64_t len)
{
    return transfer(CAIO_OP_READ, fd, buf, len, CAIO_OFFSET_CURRENT);
}

static void a_read_waits_for_a_line(int input)
{
    char buf[32] = "";
    caio_event event;
    submit(read_op(input, buf, sizeof buf), 1);
    EXPECT(caio_ctx_wait(ctx, &event, 1, 1, SECOND / 20), 0);
    EXPECT(run_op(ctx, make_op(CAIO_OP_NOP, -1)), 0); /* it holds nothing up */
    type(input, "hello\r");
    EXPECT(result_of(ctx, 1), 7);
    CHECK(memcmp(buf, "hello\r\n", 7) == 0);
}

static void a_waiting_read_is_stopped(int input)
{
    char buf[32] = "";
    caio_event event;
    int64_t result;
    caio_op op = read_op(input, buf, sizeof buf);
    submit(op, 1);
    EXPECT(caio_ctx_wait(ctx, &event, 1, 1, SECOND / 20), 0);
    EXPECT(caio_ctx_cancel(ctx, 1), 1);
    EXPECT(result_of(ctx, 1), -ECANCELED);
    op.timeout_ns = SECOND / 20;
    EXPECT(run_op(ctx, op), -ETIMEDOUT);
    /* After a cancelled read, the console of Wine 8 answers no further read of any program. */
    type(input, "kept\r");
    op.timeout_ns = SECOND;
    result = run_op(ctx, op);
    CHECK(result == -ETIMEDOUT || (result == 6 && memcmp(buf, "kept\r\n", 6) == 0));
}

static void writes_and_errors(int input, int output)
{
    char byte;
    EXPECT(run_op(ctx, transfer(CAIO_OP_WRITE, output, "shown\r\n", 7, CAIO_OFFSET_CURRENT)), 7);
    EXPECT(run_op(ctx, transfer(CAIO_OP_WRITE, output, "x", 1, 0)), -ESPIPE);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, input, &byte, 1, 0)), -ESPIPE);
    EXPECT(run_op(ctx, make_op(CAIO_OP_TRUNCATE, output)), -EINVAL);
}

static int on_the_console(void)
{
    static char late[8];
    int input = console("CONIN$"), output = console("CONOUT$");
    ctx = make_ctx(CAIO_BACKEND_THREAD, 0);
    writes_and_errors(input, output);
    a_read_waits_for_a_line(input);
    a_waiting_read_is_stopped(input);
    submit(read_op(input, late, sizeof late), 1);
    Sleep(50);
    caio_ctx_free(ctx); /* stops the read */
    EXPECT(late[0], 0);
    CHECK(CloseHandle(handle_of(input)) && CloseHandle(handle_of(output)));
    return 42;
}

/* What the console shows must be read, or it waits. */
static DWORD WINAPI drain(void *screen)
{
    char buf[512];
    DWORD got;
    while (ReadFile((HANDLE)screen, buf, sizeof buf, &got, NULL) && got > 0)
        ;
    return 0;
}

int main(int argc, char **argv)
{
    HANDLE keys[2], screen[2], reader;
    PROCESS_INFORMATION child;
    STARTUPINFOEXA start;
    COORD size = {80, 25};
    char command[MAX_PATH + 8];
    DWORD code = 0;
    SIZE_T room = 0;
    HPCON terminal;
    if (argc > 1)
        return strcmp(argv[1], "child") == 0 ? on_the_console() : 1;
    CHECK(CreatePipe(&keys[0], &keys[1], NULL, 0) && CreatePipe(&screen[0], &screen[1], NULL, 0));
    CHECK(SUCCEEDED(CreatePseudoConsole(size, keys[0], screen[1], 0, &terminal)));
    reader = CreateThread(NULL, 0, drain, screen[0], 0, NULL);
    memset(&start, 0, sizeof start);
    start.StartupInfo.cb = sizeof start;
    InitializeProcThreadAttributeList(NULL, 1, 0, &room);
    start.lpAttributeList = (LPPROC_THREAD_ATTRIBUTE_LIST)malloc(room);
    CHECK(InitializeProcThreadAttributeList(start.lpAttributeList, 1, 0, &room));
    CHECK(UpdateProcThreadAttribute(start.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE, terminal,
                                    sizeof terminal, NULL, NULL));
    snprintf(command, sizeof command, "\"%s\" child", argv[0]);
    CHECK(CreateProcessA(NULL, command, NULL, NULL, FALSE, EXTENDED_STARTUPINFO_PRESENT, NULL, NULL, &start.StartupInfo,
                         &child));
    EXPECT(WaitForSingleObject(child.hProcess, 60000), WAIT_OBJECT_0);
    CHECK(GetExitCodeProcess(child.hProcess, &code));
    EXPECT(code, 42);
    ClosePseudoConsole(terminal);
    CloseHandle(screen[1]);
    CHECK(reader != NULL);
    puts("3 passed");
    return 0;
}
