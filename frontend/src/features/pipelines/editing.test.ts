import { describe, expect, it } from 'vitest'
import { lineBreakAt, offsetOf } from '@/features/pipelines/editing'

describe('offsetOf', () => {
  const text = 'id: a\n  name: b\n'
  it('counts lines and columns from 1', () => {
    expect(offsetOf(text, 1, 1)).toBe(0)
    expect(text.slice(offsetOf(text, 2, 3))).toBe('name: b\n')
  })
  it('stays within the line and the text', () => {
    expect(offsetOf(text, 1, 99)).toBe(5)
    expect(offsetOf(text, 99, 1)).toBe(text.length)
  })
})

describe('lineBreakAt', () => {
  it.each([
    ['id: a', '\n'],
    ['  name: b', '\n  '],
    ['stages:', '\n  '],
    ['  config:', '\n    '],
    ['  - id: a', '\n    '],
  ])('goes on after %j with %j', (line, expected) => {
    expect(lineBreakAt(line, line.length)).toBe(expected)
  })
})
