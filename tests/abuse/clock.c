/* The time of day, moved by the seconds that a file holds (CLOCK_SHIFT): a clock that is set while programs run. Clocks
   that nobody sets (CLOCK_MONOTONIC) and what the system writes at files stay as they are, as with a real one. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void) {
  char said[32] = "0";
  int file = open(getenv("CLOCK_SHIFT"), O_RDONLY | O_CLOEXEC);
  if (file >= 0) { if (read(file, said, sizeof said - 1) < 0) said[0] = '0'; close(file); }
  return atol(said);
}

int clock_gettime(clockid_t id, struct timespec *at) {
  int failed = syscall(SYS_clock_gettime, id, at);
  if (!failed && id == CLOCK_REALTIME) at->tv_sec += shift();
  return failed;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *at, void *zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}
