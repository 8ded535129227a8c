/* An engine in a process of its own, which takes a turn when it is told to. */
#ifndef PLAYER_H
#define PLAYER_H

#include "turn.h"

#include <sys/types.h>

/* What the processes share. */
struct shared {
    unsigned next; /* the target's */
    unsigned cpu;  /* where a turn begins, a number of those that there are */
    char why[256];
    struct result result;
};

/* What all engines find in one row at one depth. */
struct stage {
    const char *folder;
    struct plan plan;
    struct target target;
    struct shared *shared;
    char *buffers;
};

struct player {
    const struct engine *engine;
    pid_t pid;
    int line; /* a byte to it is a turn, a byte from it the turn's end */
};

/* 0 if the row cannot be had here (`shared->why`). */
int stage_open(struct stage *stage, const struct row *row, const char *folder, const struct plan *plan);
void stage_close(struct stage *stage);

/* It begins on the processor number `cpu` of those that there are. 0 if the machine refuses the engine (`shared->why`). */
int player_start(struct player *player, struct stage *stage, const struct engine *engine, unsigned cpu);
/* What came of it is in `shared->result`. */
void player_turn(struct player *player, struct stage *stage, unsigned cpu);
void player_stop(struct player *player);

#endif
