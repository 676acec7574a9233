// What the load programs and the floor relay share: sockets of loopback, the clock, the end with a reason.
// Included by every C program under bench/. A failure here makes a measurement worthless, so it ends the
// program.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline long number(const char* text, const char* what, long least, long most) {
  char* end = NULL;
  const long value = strtol(text, &end, 10);
  if (*text == 0 || *end != 0 || value < least || value > most)
    die("%s is \"%s\": a number from %ld to %ld is expected", what, text, least, most);
  return value;
}

// The `index`-th address from `first` on. Nothing but loopback.
static inline struct sockaddr_in address_at(const char* first, unsigned index, unsigned port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, first, &address.sin_addr) != 1) die("\"%s\" is no IPv4 address", first);
  const uint32_t value = ntohl(address.sin_addr.s_addr) + index;
  if (value >> 24 != 127) die("\"%s\" and the %u addresses after it are not all loopback", first, index);
  address.sin_addr.s_addr = htonl(value);
  return address;
}

static inline int listen_on(struct sockaddr_in address, int type_flags) {
  const int one = 1;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0);
  if (fd < 0) die("socket: %s", strerror(errno));
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr*)&address, sizeof address) != 0 || listen(fd, 4096) != 0)
    die("cannot listen on %s:%u: %s", inet_ntoa(address.sin_addr), ntohs(address.sin_port), strerror(errno));
  return fd;
}

static inline void no_delay(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

// A connection under way, not blocking. `source`: the address it comes from, its port being chosen when it
// connects, so that many sources have all ports each; NULL: 127.0.0.1.
static inline int begin_connect(struct sockaddr_in to, const struct sockaddr_in* source) {
  const int one = 1;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) die("socket: %s", strerror(errno));
  no_delay(fd);
  if (source) {
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (const struct sockaddr*)source, sizeof *source) != 0) die("bind: %s", strerror(errno));
  }
  if (connect(fd, (struct sockaddr*)&to, sizeof to) != 0 && errno != EINPROGRESS)
    die("cannot connect to port %u: %s", ntohs(to.sin_port), strerror(errno));
  return fd;
}

static inline void watch(int epoll, int operation, int fd, uint32_t events, void* data) {
  struct epoll_event event = {.events = events, .data.ptr = data};
  if (epoll_ctl(epoll, operation, fd, &event) != 0) die("epoll_ctl: %s", strerror(errno));
}

static inline int by_value(const void* a, const void* b) {
  const uint64_t x = *(const uint64_t*)a;
  const uint64_t y = *(const uint64_t*)b;
  return x < y ? -1 : x > y;
}

// Of sorted values; 0 if there are none.
static inline double quantile_us(const uint64_t* sorted_ns, size_t count, double q) {
  if (count == 0) return 0;
  size_t at = (size_t)(q * (double)count);
  if (at >= count) at = count - 1;
  return (double)sorted_ns[at] / 1000.0;
}
