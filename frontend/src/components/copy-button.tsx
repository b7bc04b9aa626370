import { useState } from 'react'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'

const CONFIRMED_MS = 2000

export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false)
  // Missing where the dashboard is served over plain HTTP in a local network.
  if (!navigator.clipboard) return null
  const copy = async () => {
    await navigator.clipboard.writeText(text)
    setCopied(true)
    window.setTimeout(() => setCopied(false), CONFIRMED_MS)
  }
  return (
    <Button variant="ghost" size="small" className="-mx-1" onClick={() => void copy()}>
      <Icon name={copied ? 'tick' : 'copy'} className="size-3.5" />
      <span aria-live="polite">{copied ? 'Copied' : label}</span>
    </Button>
  )
}
