import { create } from 'zustand'

export type ThemeChoice = 'system' | 'light' | 'dark'

// public/theme.js reads the same key before the first paint.
const STORAGE_KEY = 'flexiroaster.theme'

function stored(): ThemeChoice {
  try {
    const value = localStorage.getItem(STORAGE_KEY)
    return value === 'light' || value === 'dark' ? value : 'system'
  } catch {
    return 'system'
  }
}

export const useTheme = create<{ choice: ThemeChoice }>(() => ({ choice: stored() }))

export function chooseTheme(choice: ThemeChoice): void {
  try {
    localStorage.setItem(STORAGE_KEY, choice)
  } catch {
    // The choice then lasts as long as the page.
  }
  useTheme.setState({ choice })
}

/** Keep the page in step with the choice and with the system's. Called once at the start. */
export function followTheme(): void {
  const system = window.matchMedia('(prefers-color-scheme: dark)')
  const apply = () => {
    const { choice } = useTheme.getState()
    const dark = choice === 'dark' || (choice === 'system' && system.matches)
    document.documentElement.classList.toggle('dark', dark)
  }
  system.addEventListener('change', apply)
  useTheme.subscribe(apply)
  apply()
}
