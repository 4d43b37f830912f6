"""What happens in the joint: constants, treatments as inputs, equations, the solver, published targets."""
