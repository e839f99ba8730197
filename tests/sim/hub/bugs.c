/* Planted bugs. */
#include "tests/sim/hub/world.h"

static bool none;
const struct sim_bug sim_bugs[] = {{"none", "nothing", &none}};
const size_t sim_n_bugs = 0;
