//! The gRPC services: conversion, authentication, authorization, status mapping
