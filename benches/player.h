/* An engine in its own process, which takes a turn on request. */
#ifndef PLAYER_H
#define PLAYER_H

#include "turn.h"

#include <sys/types.h>

/* Memory that the processes share. */
struct shared {
    unsigned next; /* the target's */
    unsigned cpu;  /* where a turn starts: an index into the available processors */
    char why[256];
    struct result result;
};

/* The setup of one row at one depth, the same for all engines. */
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
    int line; /* a byte to the player starts a turn, a byte from it ends the turn */
};

/* Returns 0 if this machine does not support the row (`shared->why`). */
int stage_open(struct stage *stage, const struct row *row, const char *folder, const struct plan *plan);
void stage_close(struct stage *stage);

/* Starts on processor `cpu` of those available. Returns 0 if this machine does not support the engine (`shared->why`). */
int player_start(struct player *player, struct stage *stage, const struct engine *engine, unsigned cpu);
/* The result is in `shared->result`. */
void player_turn(struct player *player, struct stage *stage, unsigned cpu);
void player_stop(struct player *player);

#endif
