#include <gtest/gtest.h>

TEST(Ptx, Empty) {}
