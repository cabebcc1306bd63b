#pragma once

#include <compare>

namespace traincost::units {

/// A number with a dimension: powers of time, information, work (floating-point operations), money and energy.
/// Adding unlike dimensions does not compile. Values are in the base units s, byte, FLOP, US dollar, joule.
template <int kTime, int kByte, int kFlop, int kDollar, int kEnergy>
struct Quantity {
  double value = 0;

  friend constexpr Quantity operator+(Quantity a, Quantity b) { return {a.value + b.value}; }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return {a.value - b.value}; }
  friend constexpr Quantity operator-(Quantity a) { return {-a.value}; }
  friend constexpr Quantity operator*(Quantity a, double b) { return {a.value * b}; }
  friend constexpr Quantity operator*(double a, Quantity b) { return {a * b.value}; }
  friend constexpr Quantity operator/(Quantity a, double b) { return {a.value / b}; }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;
  constexpr Quantity& operator+=(Quantity b) { return *this = *this + b; }
  constexpr Quantity& operator*=(double b) { return *this = *this * b; }
};

namespace detail {
template <int T, int B, int F, int D, int E>
struct Simplify {
  using type = Quantity<T, B, F, D, E>;
  static constexpr type make(double v) { return {v}; }
};
template <>
struct Simplify<0, 0, 0, 0, 0> {
  using type = double;
  static constexpr double make(double v) { return v; }
};
}  // namespace detail

template <int T, int B, int F, int D, int E, int T2, int B2, int F2, int D2, int E2>
constexpr auto operator*(Quantity<T, B, F, D, E> a, Quantity<T2, B2, F2, D2, E2> b) {
  return detail::Simplify<T + T2, B + B2, F + F2, D + D2, E + E2>::make(a.value * b.value);
}
template <int T, int B, int F, int D, int E, int T2, int B2, int F2, int D2, int E2>
constexpr auto operator/(Quantity<T, B, F, D, E> a, Quantity<T2, B2, F2, D2, E2> b) {
  return detail::Simplify<T - T2, B - B2, F - F2, D - D2, E - E2>::make(a.value / b.value);
}

using Seconds = Quantity<1, 0, 0, 0, 0>;
using Bytes = Quantity<0, 1, 0, 0, 0>;
using Flops = Quantity<0, 0, 1, 0, 0>;
using Dollars = Quantity<0, 0, 0, 1, 0>;
using Joules = Quantity<0, 0, 0, 0, 1>;
using BytesPerSecond = Quantity<-1, 1, 0, 0, 0>;
using FlopsPerSecond = Quantity<-1, 0, 1, 0, 0>;
using DollarsPerSecond = Quantity<-1, 0, 0, 1, 0>;
using DollarsPerJoule = Quantity<0, 0, 0, 1, -1>;
using Watts = Quantity<-1, 0, 0, 0, 1>;

inline constexpr Seconds kMicrosecond{1e-6};
inline constexpr Seconds kMillisecond{1e-3};
inline constexpr Seconds kHour{3600};
inline constexpr Seconds kYear{8766 * 3600.0};  // 365.25 days
inline constexpr Joules kKilowattHour{3.6e6};
inline constexpr double kGiga = 1e9;
inline constexpr double kTera = 1e12;
inline constexpr Bytes kGibibyte{1024.0 * 1024.0 * 1024.0};

template <int T, int B, int F, int D, int E>
constexpr auto max(Quantity<T, B, F, D, E> a, Quantity<T, B, F, D, E> b) {
  return a < b ? b : a;
}
template <int T, int B, int F, int D, int E>
constexpr auto min(Quantity<T, B, F, D, E> a, Quantity<T, B, F, D, E> b) {
  return b < a ? b : a;
}

}  // namespace traincost::units
