// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace agentsight {

// A thread of ours: it takes no signals, which are for the threads that Node made for them. The name is shown by ps and
// top; the kernel keeps 15 bytes of it.
template <typename Function>
std::thread StartThread(const char* name, Function function) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(function));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

}  // namespace agentsight
