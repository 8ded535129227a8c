/* WaitForMultipleObjects: the HANDLE of caio_ctx_event_handle beside a timer. */
#include "work.h"
#include <stdio.h>

enum { COMPLETIONS, TIMER, HANDLES };

int main(int argc, char **argv)
{
    caio_ctx *ctx = work_start(argc, argv);
    HANDLE watched[HANDLES];
    LARGE_INTEGER due = {.QuadPart = -10 * 1000};
    unsigned ticks = 0;
    bool more = true;
    checked(caio_ctx_event_handle(ctx, &watched[COMPLETIONS]), "caio_ctx_event_handle");
    watched[TIMER] = CreateWaitableTimerW(NULL, FALSE, NULL);
    SetWaitableTimer(watched[TIMER], &due, 1, NULL, NULL, FALSE);
    while (more) {
        switch (WaitForMultipleObjects(HANDLES, watched, FALSE, INFINITE)) {
        case WAIT_OBJECT_0 + COMPLETIONS:
            more = work_handle(ctx);
            break;
        case WAIT_OBJECT_0 + TIMER:
            ticks++;
            break;
        default:
            return 1;
        }
    }
    CloseHandle(watched[TIMER]); /* the other one is the context's */
    fprintf(stderr, "the timer ticked %u times\n", ticks);
    return work_finish(ctx);
}
