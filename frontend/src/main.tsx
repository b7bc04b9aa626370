import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from '@/App'
import { followTheme } from '@/store/theme'
import '@/styles/index.css'

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no element #root.')

followTheme()
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
