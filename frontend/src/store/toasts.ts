import { create } from 'zustand'

export type ToastLink = { label: string; to: string }
export type Toast = {
  id: number
  tone: 'success' | 'failed'
  text: string
  links: readonly ToastLink[]
}

const SHOWN_MS = 6000
const NO_LINKS: readonly ToastLink[] = []
let lastId = 0

export const useToasts = create<{ toasts: Toast[] }>(() => ({ toasts: [] }))

/**
 * Say in passing that something worked or did not. What needs action belongs in the page instead. One with links
 * stays until it is dismissed: there is something to look at.
 */
export function toast(
  tone: Toast['tone'],
  text: string,
  links: readonly ToastLink[] = NO_LINKS,
): void {
  lastId += 1
  const id = lastId
  useToasts.setState(({ toasts }) => ({ toasts: [...toasts, { id, tone, text, links }] }))
  if (links.length === 0) window.setTimeout(() => dismissToast(id), SHOWN_MS)
}

export function dismissToast(id: number): void {
  useToasts.setState(({ toasts }) => ({ toasts: toasts.filter((shown) => shown.id !== id) }))
}
