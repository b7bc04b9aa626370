import { create } from 'zustand'

export type Toast = { id: number; tone: 'success' | 'failed'; text: string }

const SHOWN_MS = 6000
let lastId = 0

export const useToasts = create<{ toasts: Toast[] }>(() => ({ toasts: [] }))

/** Say in passing that something worked or did not. What needs action belongs in the page instead. */
export function toast(tone: Toast['tone'], text: string): void {
  lastId += 1
  const id = lastId
  useToasts.setState(({ toasts }) => ({ toasts: [...toasts, { id, tone, text }] }))
  window.setTimeout(() => dismissToast(id), SHOWN_MS)
}

export function dismissToast(id: number): void {
  useToasts.setState(({ toasts }) => ({ toasts: toasts.filter((shown) => shown.id !== id) }))
}
