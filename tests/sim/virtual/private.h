/* What the files of this room share. */
#ifndef SIM_VIRTUAL_PRIVATE_H
#define SIM_VIRTUAL_PRIVATE_H

#include "tests/sim/virtual/virtual.h"

/* Never back. */
void virtual_set_now(int64_t to_ms);

#endif
