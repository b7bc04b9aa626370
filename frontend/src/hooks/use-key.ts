import { useEffect, useRef } from 'react'

/** Calls `onPress` when this key alone is pressed, whatever its case, and nobody is typing or in a dialog. */
export function useKey(key: string, onPress: () => void): void {
  const current = useRef(onPress)
  useEffect(() => {
    current.current = onPress
  })
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const busy =
        event.target instanceof HTMLElement &&
        event.target.closest('input, textarea, select, [role=dialog]')
      if (event.key.toLowerCase() !== key || busy) return
      if (event.ctrlKey || event.metaKey || event.altKey) return
      event.preventDefault()
      current.current()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [key])
}
