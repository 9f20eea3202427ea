// Distribution functions that intervals and tests need. Accurate to about 1e-12. The normal quantile is eval/intervals.h's.
#pragma once

#include <utility>

namespace xbench {

double normal_cdf(double z);
double incomplete_beta(double a, double b, double x);  // regularised: of 0 to 1
// P(F > f) with so many degrees of freedom above and below; infinitely many below: chi-squared.
double f_tail(double f, double above, double below);
double t_two_sided(double t, double degrees);  // P(|T| > t)
double t_quantile(double probability, double degrees);
double binomial_cdf(int successes, int trials, double probability);  // P(X <= successes)

// Wilson's 95% interval of a share of so many: what the draw of so many images leaves open.
std::pair<double, double> wilson_interval(double share, double count);

}  // namespace xbench
