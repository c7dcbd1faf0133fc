"""Models for other programs: conversion, the check in their own runtimes, the card beside them."""
