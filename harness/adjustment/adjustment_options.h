// What can be switched on after any method: closed forms on calibration text, with no training. A sweep's "adjust".
#pragma once

#include <string>

namespace moebench {

struct AdjustmentOptions {
  std::string router = "own";
  std::string compensation = "none";
  double ridge = 0.01;
  std::string token_weights = "none";
  std::string target = "layer";
  bool moment_alignment = false;
  std::string budgets = "linear";
  double budget_slope = 0;
  std::string visits = "top_k";
  std::string propagate = "auto";

  void for_each(auto&& visit) {
    visit("router", router,
          "own (the method's), ridge (regression of each routed expert's contribution norm on [x, x^2, 1]) or "
          "ridge_linear (on [x, 1])",
          {"own", "ridge", "ridge_linear"});
    visit(
        "compensation", compensation,
        "for what a token does not visit: none, mean (its mean output) or least_squares (down_proj and biases refitted "
        "on what is active, towards the target)",
        {"none", "mean", "least_squares"});
    visit("ridge", ridge, "least_squares: ridge, times the mean of the Gram matrix's diagonal");
    visit("token_weights", token_weights,
          "in the regressions: none or residual (1 / norm of the stream that the output joins)", {"none", "residual"});
    visit("target", target,
          "what adjusted outputs are fitted to: layer (the dense layer's output on the same inputs) or teacher (what "
          "leads from the converted layers' stream to the dense model's after this layer)",
          {"layer", "teacher"});
    visit("moment_alignment", moment_alignment,
          "give every channel of the output the target's mean and variance (as LLaMA-MoE-v2's code)");
    visit("budgets", budgets,
          "active experts of the layers: linear (as budget_slope says) or measured (so that the final hidden states "
          "move least, by how far they move with neurons of one layer missing); the shape's on average",
          {"linear", "measured"});
    visit("budget_slope", budget_slope,
          "share of active experts falls linearly from 1 + slope times the shape's in the first layer to 1 - slope in "
          "the last; -1 to 1");
    visit(
        "visits", visits,
        "experts of a token: top_k, or those that a threshold or cumulative_mass of the router's softmax gives, top_k "
        "on average",
        {"top_k", "threshold", "cumulative_mass"});
    visit(
        "propagate", propagate,
        "what the layers after a converted one see: converted, dense or auto (converted where outputs are adjusted or "
        "visits are not top_k, else the method's choice)",
        {"auto", "converted", "dense"});
  }

  // Whether what is fitted to a layer's inputs should see those that it will have.
  bool fits_own_stream() const { return refits_outputs() || visits != "top_k"; }
  bool refits_outputs() const { return compensation != "none" || moment_alignment; }
  // Whether a layer's conversion is changed after the method made it.
  bool changes_layers() const { return refits_outputs() || router != "own" || visits != "top_k"; }
};

// Throws std::invalid_argument for a number out of range; owner names who was given it.
void check_adjustment(const AdjustmentOptions& options, const std::string& owner);

}  // namespace moebench
