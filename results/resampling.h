// What interval and permutation tests draw with: the same numbers from the same seed, whatever the standard library.
#pragma once

#include <cstddef>
#include <random>
#include <vector>

namespace moebench {

// numpy.quantile's default, linear between the two nearest. values: ascending, not empty.
double sorted_quantile(const std::vector<double>& values, double probability);

double median(std::vector<double> values);  // not empty

// A place below size, each as likely; std::uniform_int_distribution differs between libraries.
size_t random_place(std::mt19937_64& random, size_t size);

// Every order as likely (Fisher and Yates); std::shuffle differs between libraries.
void shuffle(std::vector<double>& values, std::mt19937_64& random);

}  // namespace moebench
