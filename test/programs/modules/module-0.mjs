export const value = "zero";
